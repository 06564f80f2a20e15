"""A hospital's system that speaks HL7 v2 over MLLP."""

import socket

from renzheng.central.adt.framing import frame


def message(trigger, recorded, number, **told):
    """One ADT message as a hospital writes it; times are local."""
    field = {
        "institution": "H1", "visit": "V1", "person": "P0001", "name": "张^三", "ward": "内科", "bed": "3",
        "occurred": "", "admitted": "", "discharged": "", "due_back": "", "kind": "", "charset": "",
        "type": "ADT", "class": "I",
    } | told  # fmt: skip
    pv1 = ["PV1", "1", field["class"], f"{field['ward']}^R^{field['bed']}", *[""] * 3, "D7", *[""] * 11]
    pv1 += [field["visit"], *[""] * 24, field["admitted"], field["discharged"]]
    segments = [
        f"MSH|^~\\&|HIS|{field['institution']}|BUREAU|R|{recorded}||{field['type']}^{trigger}|{number}|P|2.4"
        + (f"||||||{field['charset']}" if field["charset"] else ""),
        f"EVN|{trigger}|{recorded}||{field['kind']}||{field['occurred']}",
        f"PID|1||{field['person']}||{field['name']}",
        "|".join(pv1).rstrip("|"),
    ]
    if field["due_back"]:
        segments.append("PV2" + "|" * 47 + field["due_back"])
    return "\r".join(segments) + "\r"


class Hospital:
    """A connection to central's listener; `tell` gives the acknowledgement's code and text."""

    def __init__(self, port, context=None):
        plain = socket.create_connection(("127.0.0.1", port), timeout=60)
        try:
            self.stream = context.wrap_socket(plain, server_hostname="127.0.0.1") if context else plain
        except OSError:
            plain.close()
            raise

    def tell(self, text, codec="utf-8"):
        return self.send(frame(text.encode(codec) if isinstance(text, str) else text))

    def send(self, content):
        self.stream.sendall(content)
        return self.answer()

    def answer(self):
        held = b""
        while not held.endswith(b"\x1c\r"):
            part = self.stream.recv(4096)
            if not part:
                return ("closed", "")
            held += part
        msa = held[1:-2].decode("ascii").split("\r")[1].split("|")
        return (msa[1], "|".join(msa[2:]))

    def close(self):
        self.stream.close()

"""Characters that look like a Latin letter or a digit and are none, and characters that cannot be seen.

Source: Unicode Technical Standard #39, confusables.txt: the letters of other alphabets whose prototype is an
ASCII letter or digit, and small capitals; Unicode's Default_Ignorable_Code_Point for the unseen ones.
"""

import unicodedata

_LOOKS_LIKE = {
    "0": "〇",
    "2": "ƧϨꙄꝚ",
    "3": "ƷȜЗӠⳌꝪꞫ",
    "4": "Ꮞ",
    "5": "Ƽ",
    "6": "бᏮⳒ",
    "8": "Ȣȣ",
    "9": "ⳊꝮ",
    "A": "ɑΑαАаᎪᴀꓮ",
    "B": "ƄʙΒВЬвᏏᏴꓐꞴ",
    "C": "ϲϹСсᏟᴄⲤⲥꓚꮯ",
    "D": "ԀԁᎠᏧᴅꓒꓓ",
    "E": "ΕЕеҽᎬᴇⴹꓰꬲ",
    "F": "ϜքẝꓝꜰꞘꞙꬵ",
    "G": "ƍɡɢԌցᏀᏳᶃꓖ",
    "H": "ʜΗНнҺһհᎻᏂⲎꓧ",
    "I": "ıƖǀɩɪͺΙιІіӀӏᎥⲒⵏꓲꙇꭵ",
    "J": "ͿϳЈјᎫᴊꓙꞲ",
    "K": "ΚκКкᏦᴋⲔꓗ",
    "L": "ʟᏞⳐꓡ",
    "M": "ΜϺМмᎷᴍⲘꓟ",
    "N": "ɴΝոռⲚꓠ",
    "O": "ΟοσОоՕօᴏᴑⲞⲟⵔꓳꬽ",
    "P": "ΡρϱРрᏢᴘⲢⲣꓑ",
    "Q": "Ԛԛգզⵕ",
    "R": "ƦʀгᎡᏒᴦⲅꓣꭇꭈꮁ",
    "S": "ƽЅѕՏᏕᏚꓢꜱꮪ",
    "T": "ΤτТтᎢᴛⲦꓔ",
    "U": "ʋυՍսᴜꓴꞟꭎꭒ",
    "V": "νѴѵᏙᴠⴸꓦꮩ",
    "W": "ɯѡԜԝաᎳᏔᴡꓪꮃ",
    "X": "×ΧХхⲬⵝꓫꞳ",
    "Y": "ɣʏΥγϒУуҮүᎩᎽᶌỿⲨꓬꭚ",
    "Z": "ΖᏃᴢꓜꮓ",
    "-": "−",
}
_LATIN = str.maketrans({one: latin for latin, all_of_it in _LOOKS_LIKE.items() for one in all_of_it})

_UNSEEN_CATEGORIES = ("Cc", "Cf", "Zs", "Zl", "Zp")
"""Unicode's categories of control, format (zero-width among them) and space characters."""
_UNSEEN_RANGES = (
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x115F, 0x1160),  # fillers of Hangul
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x2800, 0x2800),  # Braille's blank, which is no default ignorable, and is blank
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFFA0, 0xFFA0),
    (0xE0000, 0xE0FFF),  # tags, and more variation selectors
)
_MARKS = ("Mn", "Me")


def is_unseen(character: str) -> bool:
    """Return whether a character leaves no trace in print: a blank, a control, one without width."""
    point = ord(character)
    return unicodedata.category(character) in _UNSEEN_CATEGORIES or any(
        first <= point <= last for first, last in _UNSEEN_RANGES
    )


def latin(text: str) -> str:
    """Return a text with ASCII letters, digits and hyphens in the place of what looks like them.

    A digit of any script is its value, a dash of any length a hyphen. A mark that stands on an ASCII
    character and has made no letter of its own with it is dropped. Everything else stays, Chinese too.
    """
    written: list[str] = []
    for character in text.translate(_LATIN):
        category = unicodedata.category(character)
        if category == "Nd":
            written.append(str(unicodedata.decimal(character)))
        elif category == "Pd":
            written.append("-")
        elif category not in _MARKS or not written or not written[-1].isascii():
            written.append(character)
    return "".join(written)

"""A real RTSP server (GStreamer's) that plays clips in a loop without encoding them again.

Run by the system's Python, which has GStreamer's bindings (Debian: python3-gi gir1.2-gst-rtsp-server-1.0
gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad):

    /usr/bin/python3 rtsp_server.py '{"mounts": {"/one": "clip.h264"}, "frames_per_second": 15, "port": 0}'

Says its port on a line of its own when it serves; ends when its input is closed. It imports nothing of ours.
"""

import importlib
import json
import sys
import threading
from typing import Any


def launch_line(path: str, frames_per_second: int) -> str:
    """Write the pipeline that plays one raw clip (.h264 or .h265) for ever, at its own speed."""
    codec = "265" if path.endswith("265") else "264"
    caps = f"video/x-h{codec},stream-format=byte-stream,framerate={frames_per_second}/1"
    return (
        f'( multifilesrc location="{path}" loop=true caps="{caps}" ! h{codec}parse '
        f"! identity sync=true ! rtph{codec}pay name=pay0 pt=96 config-interval=1 )"
    )


def serve(told: dict[str, Any]) -> None:
    """Serve until the input is closed."""
    gi = importlib.import_module("gi")
    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    names = ("Gst", "GLib", "GstRtspServer")
    gst, glib, rtsp = (importlib.import_module(f"gi.repository.{name}") for name in names)
    gst.init(None)
    server = rtsp.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(told.get("port", 0)))
    if told.get("user"):
        server.set_auth(_guard(rtsp, told))
    for mount, path in told["mounts"].items():
        factory = rtsp.RTSPMediaFactory()
        factory.set_launch(launch_line(path, told["frames_per_second"]))
        factory.set_shared(True)
        if told.get("user"):
            permissions = rtsp.RTSPPermissions()
            for right in ("media.factory.access", "media.factory.construct"):
                permissions.add_permission_for_role("viewer", right, True)  # noqa: FBT003 - GStreamer's
            factory.set_permissions(permissions)
        server.get_mount_points().add_factory(mount, factory)
    server.attach(None)
    loop = glib.MainLoop()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.quit()), daemon=True).start()
    sys.stdout.write(f"{server.get_bound_port()}\n")
    sys.stdout.flush()
    loop.run()


def _guard(rtsp: Any, told: dict[str, Any]) -> Any:
    auth = rtsp.RTSPAuth()
    token = rtsp.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if told.get("digest"):
        auth.set_supported_methods(importlib.import_module("gi.repository.GstRtsp").RTSPAuthMethod.DIGEST)
        auth.add_digest(told["user"], told["password"], token)
    else:
        auth.add_basic(rtsp.RTSPAuth.make_basic(told["user"], told["password"]), token)
    return auth


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))

"""onnxruntime, silent: the one place that imports it.

On Linux onnxruntime has a telemetry of its own: its first session writes a device id and a queue of events
under ``~/.cache/Microsoft`` and looks up ``mobile.events.data.microsoft.com``. A face kiosk in a clinic tells
no third party anything, so it is turned off before the import (the variable is read while the library loads,
and child processes inherit it), and again by the library's own call.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

onnxruntime.disable_telemetry_events()

InferenceSession = onnxruntime.InferenceSession
SessionOptions = onnxruntime.SessionOptions

__all__ = ["InferenceSession", "SessionOptions"]

"""Measuring ward cameras on this machine: a real RTSP server, composed clips, the real watch."""

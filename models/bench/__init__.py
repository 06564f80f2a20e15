"""Times the engines, and the library face_recognition beside them, on one thread."""

"""One web application: the console for people, the API for programs."""

"""Sign-in sessions: the state machine, the page and the frames it sends."""

"""What is done to a device once or seldom: joining a site, changing its key, checking its log."""

"""What is wrong at this site, since when, and what to do: for a page, the API, health and one metric."""

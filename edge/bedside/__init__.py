"""The inspector's bedside page: the round's list, one answer a bed, with or without network."""

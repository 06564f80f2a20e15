"""Persons' data at central: withdrawals, retention, rights, released crops, filing; what the law asks for."""

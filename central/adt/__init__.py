"""Inpatients as central knows them: what hospitals told of admissions, beds, discharges and leaves."""

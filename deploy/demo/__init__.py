"""The demo: one dialysis day at two clinics, from faces at the kiosk to a verdict on the bill."""

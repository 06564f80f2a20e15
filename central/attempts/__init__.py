"""How people fare at the kiosk: visits by what the devices recorded, figures by people."""

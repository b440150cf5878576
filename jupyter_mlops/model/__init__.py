"""What the parts exchange: frozen dataclasses and the Protocols that services own."""

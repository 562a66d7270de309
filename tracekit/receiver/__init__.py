"""An OTLP/HTTP receiver on loopback for the traces of your own application: ``tk.listen``."""

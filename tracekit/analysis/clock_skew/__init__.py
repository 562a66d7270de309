"""Clocks of hosts: offsets that calls between them prove, and spans put right by them."""

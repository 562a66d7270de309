"""The service map: selection of services, layout, static image, widget, and comparison with a baseline."""

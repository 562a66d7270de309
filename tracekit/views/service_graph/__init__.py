"""The service map: what it shows (scope), where it stands (layout, heights), and the map of a comparison."""

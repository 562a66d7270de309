"""Static images of plotly figures: SVG without a browser."""

"""Still pictures of figures: what plotly would draw, as SVG without a browser."""

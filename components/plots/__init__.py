"""Arrays in, plotly figures out: pure functions, the only place that imports plotly."""

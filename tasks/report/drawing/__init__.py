"""The report's figures, drawn without any global state of matplotlib."""

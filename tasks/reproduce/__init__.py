"""The tables and figures of the papers: what each needs, and its numbers beside the papers' own."""

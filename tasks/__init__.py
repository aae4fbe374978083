"""The tasks that `bilevel` is applied to; importing this package imports none of them."""

"""Generative adversarial imitation learning, whose discriminator is moved by a rule of ours."""

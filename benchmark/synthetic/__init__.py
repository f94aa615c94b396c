"""Synthetic scenes of any size: real class spectra mixed linearly over a real or generated label map."""

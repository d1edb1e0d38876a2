"""The palette job on real images: posters to work on, palettes, and the report."""

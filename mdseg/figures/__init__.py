"""Pictures of results, drawn with matplotlib: panels, curves, lessons, heatmaps, comparisons, maps.

May import labels and system. Figures get arrays and names, and know neither networks nor runs.
"""

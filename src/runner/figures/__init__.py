"""Every drawing: charts of curves and scores, images, tables."""

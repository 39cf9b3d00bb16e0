"""What is decided: cuts, clusters, matching, projections, rankings and scores, as functions of arrays."""

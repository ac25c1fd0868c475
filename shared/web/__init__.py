"""HTTP as every service speaks it: app factory, problems, bodies, paging, who is asking, health."""

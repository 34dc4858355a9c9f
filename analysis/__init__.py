"""Analysis of finished runs: probes, figures, reports, profiles, dashboards, and the published tables."""

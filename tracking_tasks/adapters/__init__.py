"""Our trackers as trackers of the field's own toolkits; each module needs the toolkit it names."""

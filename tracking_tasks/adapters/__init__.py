"""Our trackers in the field's own toolkits; the extra `toolkits` installs those."""

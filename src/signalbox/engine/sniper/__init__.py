"""The listing sniper at work: from sightings to entries, and the record of every listing."""

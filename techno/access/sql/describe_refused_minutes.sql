-- What a later row repeats of a minute's own: action, address, who, reason codes and detail.
ALTER TABLE access_refused_minutes ADD COLUMN about jsonb;

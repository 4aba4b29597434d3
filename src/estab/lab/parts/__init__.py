"""What scenarios are made of: their settings, what a scenario is, figures and loads that several share."""

"""The situations that CI plays: those that the judge gets right, within two minutes side by side on two cores."""

IN_CI = (
    "stopped_in_mid_churn",
    "stopped_in_mid_churn_short_timeout",
)

"""Whether a run would work from here, looked at part by part: key, way to the API, clock, rights, room for the report.

Nothing is stopped: the one call of StopWebcast names a task whose ids no task can have. Nothing secret is told.
"""

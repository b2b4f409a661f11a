"""Stops Volcengine RTC cloud-recording (webcast) tasks in bulk, within the account's quota."""

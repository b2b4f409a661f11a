"""All that is specific to Volcengine: where a call goes, what it says, how it is signed, and what an answer means."""

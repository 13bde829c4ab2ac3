"""The operator's commands: doctor, status, dlq, and the encryption of stored sessions."""

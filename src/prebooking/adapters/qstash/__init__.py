"""QStash through its SDK: messages, the account, notices as webhooks."""

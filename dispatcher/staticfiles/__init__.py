"""Files under a URL: `folder` says which file a URL means, `representation` what that file answers."""

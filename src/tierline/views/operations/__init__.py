"""Operations of the server, and bulk actions on jobs."""

"""The exam centre's pages in the service: the markers' desk, the leader's pages, release and appeals."""

"""What must hold of a run's data before it is published: the section ``checks`` of ``dolt.yml``."""

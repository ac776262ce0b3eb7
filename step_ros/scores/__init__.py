"""How good labels are: of clips, of classes, of live updates, of segments."""

"""What Linux does, as pure functions of plain numbers and bytes. No socket, file, clock or process is touched here."""

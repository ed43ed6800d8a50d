// Bank
